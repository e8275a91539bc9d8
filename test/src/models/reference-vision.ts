/**
 * What another program makes of pictures: the letterbox of OpenCV, ONNX Runtime for Python, and for boxes the postprocessing
 * of the detector's authors. Arguments: `boxes` and pictures; or `map`, a model, its mean, its std, and pictures. Prints JSON.
 */
export const referenceVision = `
import json, sys
import cv2, numpy as np, onnxruntime as ort

def boxes(paths):
    from ddddocr.core.detection_engine import DetectionEngine
    engine = DetectionEngine()
    for path in paths:
        img = cv2.imread(path)
        tensor, ratio = engine.preproc(img, (416, 416))
        raw = engine.session.run(["output"] , {"images": tensor[None]})[0]
        out = engine.demo_postprocess(raw, (416, 416))[0]
        centre, size = out[:, :2], out[:, 2:4]
        edges = np.concatenate([centre - size / 2, centre + size / 2], 1) / ratio
        kept = engine.multiclass_nms(edges, out[:, 4:5] * out[:, 5:], nms_thr=0.45, score_thr=0.1)
        yield [] if kept is None else [[float(v) for v in row[:5]] for row in kept]

def maps(model, mean, std, paths):
    session = ort.InferenceSession(model)
    for path in paths:
        img = cv2.imread(path)
        ratio = min(640 / img.shape[1], 640 / img.shape[0])
        width, height = round(img.shape[1] * ratio), round(img.shape[0] * ratio)
        left, top = (640 - width) // 2, (640 - height) // 2
        padded = np.zeros((640, 640, 3), np.uint8)
        padded[top:top + height, left:left + width] = cv2.resize(img, (width, height), interpolation=cv2.INTER_LINEAR)
        tensor = ((padded / 255 - mean) / std).transpose(2, 0, 1)[None].astype(np.float32)
        found = session.run(None, {"x": tensor})[0][0, 0] >= 0.3
        used = found[top:top + height, left:left + width]
        yield {"width": width, "height": height, "pixels": "".join(map(str, used.astype(int).ravel()))}

kind, *rest = sys.argv[1:]
if kind == "boxes":
    answers = boxes(rest)
else:
    answers = maps(rest[0], json.loads(rest[1]), json.loads(rest[2]), rest[3:])
print(json.dumps(list(answers)))
`;
