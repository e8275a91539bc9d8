/**
 * The variable that names the folder of another build of ONNX Runtime, a package like onnxruntime-node. It is a variable of
 * the process and no argument: a native library is loaded once, before anything can be told, and threads and children
 * inherit it.
 */
export const runtimeVariable = "MUSTER_ONNXRUNTIME";
