import assert from "node:assert/strict";
import { test } from "node:test";
import { boundaryOf, readMultipart } from "./multipart.js";

async function formOf(files: Record<string, Blob>): Promise<{ boundary: string; body: Uint8Array }> {
  const form = new FormData();
  for (const [name, file] of Object.entries(files)) form.append(name, file, `${name}.bin`);
  const request = new Request("http://localhost", { method: "POST", body: form });
  const boundary = boundaryOf(request.headers.get("content-type") ?? "") ?? "";
  return { boundary, body: new Uint8Array(await request.arrayBuffer()) };
}

test("the files of a form come out as they went in, the empty and the treacherous too", async () => {
  const bytes = [new Uint8Array([13, 10, 45, 45, 0, 255]), new Uint8Array(), new Uint8Array([13, 10, 13, 10])];
  const [one = new Uint8Array(), two = new Uint8Array(), three = new Uint8Array()] = bytes;
  const { boundary, body } = await formOf({
    one: new Blob([one], { type: "image/png" }),
    two: new Blob([two]),
    three: new Blob([three]),
  });
  const parts = readMultipart(body, boundary, 3);
  assert.ok(typeof parts !== "string", String(parts));
  assert.deepEqual(
    parts.map(({ name, fileName, bytes: got }) => [name, fileName, [...got]]),
    [
      ["one", "one.bin", [...one]],
      ["two", "two.bin", []],
      ["three", "three.bin", [...three]],
    ],
  );
  assert.equal(parts[0]?.contentType, "image/png");
});

test("a body that is cut off anywhere, has too many parts or another boundary is refused with what is wrong", async () => {
  const { boundary, body } = await formOf({ a: new Blob(["x"]), b: new Blob(["y"]) });
  const whole = readMultipart(body, boundary, 2);
  assert.ok(Array.isArray(whole));
  // Without the last line end and without the two dashes before it nothing is lost; one byte more and there is no end.
  for (let length = 0; length < body.length - 4; length += 1) {
    assert.equal(typeof readMultipart(body.slice(0, length), boundary, 2), "string", `cut off at ${length}`);
  }
  assert.match(String(readMultipart(body, boundary, 1)), /more than 1 part/);
  assert.match(String(readMultipart(body, "other", 2)), /does not begin with/);
  const nameless = Buffer.from("--b\r\nContent-Type: image/png\r\n\r\nx\r\n--b--\r\n");
  assert.match(String(readMultipart(nameless, "b", 2)), /does not say its name/);
});

test("the boundary is read from a content type, quoted or not", () => {
  assert.equal(boundaryOf("multipart/form-data; boundary=abc; charset=utf-8"), "abc");
  assert.equal(boundaryOf('multipart/form-data; boundary="a b"'), "a b");
  assert.equal(boundaryOf("multipart/form-data"), undefined);
  assert.equal(boundaryOf(`multipart/form-data; boundary=${"x".repeat(71)}`), undefined);
});
