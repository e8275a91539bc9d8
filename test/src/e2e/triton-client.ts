/** What tritonclient, NVIDIA's client of the Open Inference Protocol, is made to do; it prints one JSON document. */
export const tritonScript = `
import json, sys
import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

url, model = sys.argv[1], sys.argv[2]
client = triton.InferenceServerClient(url)
types = json.loads(sys.argv[3])
seen = {
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "modelReady": client.is_model_ready(model),
    "server": client.get_server_metadata(),
    "metadata": client.get_model_metadata(model),
}

def data_of(datatype, rows):
    kind = triton_to_np[datatype]
    values = np.arange(rows * 2).reshape(rows, 2) % 2
    if datatype in ("FP32", "FP64"):
        values = values + 0.1
    return values.astype(kind)

triton_to_np = {
    "FP16": np.float16, "FP32": np.float32, "FP64": np.float64, "BOOL": np.bool_,
    "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64,
    "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64,
}

def ask(binary_in, binary_out, rows, outputs, **options):
    inputs = []
    for name, datatype in types["inputs"]:
        tensor = triton.InferInput(name, [rows, 2], datatype)
        # The client has no JSON for half precision.
        tensor.set_data_from_numpy(data_of(datatype, rows), binary_data=binary_in or datatype == "FP16")
        inputs.append(tensor)
    asked = None
    if outputs is not None:
        asked = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in outputs]
    result = client.infer(model, inputs, outputs=asked, request_id="r1", **options)
    for name, datatype in types["outputs"]:
        given = result.as_numpy(name)
        if outputs is not None and name not in outputs:
            assert given is None, name
            continue
        np.testing.assert_array_equal(given, data_of(datatype, rows), err_msg=name)
        assert given.dtype == triton_to_np[datatype], name
    return result.get_response()["id"]

every = [name for name, _ in types["outputs"]]
seen["ids"] = [
    ask(True, True, 1, None),
    ask(True, True, 3, every),
    ask(False, True, 2, every[:4], priority=1, timeout=5_000_000),
    ask(False, False, 2, [name for name, datatype in types["outputs"] if datatype != "FP16"]),
]

def refusal(work):
    try:
        work()
    except InferenceServerException as error:
        return [error.status(), error.message()]
    return None

def wrong_shape():
    tensor = triton.InferInput("in_float32", [1, 3], "FP32")
    tensor.set_data_from_numpy(np.zeros([1, 3], np.float32))
    client.infer(model, [tensor])

seen["wrongShape"] = refusal(wrong_shape)
seen["unknown"] = refusal(lambda: client.get_model_metadata("nothing"))
print(json.dumps(seen))
`;
