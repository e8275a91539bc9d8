import assert from "node:assert/strict";
import { test } from "node:test";
import { linkRoomBytes } from "../ports.js";
import { framePacket } from "./frame-packet.js";

test("a frame becomes a PUBLISH of QoS 0 around its own bytes, whatever its length", () => {
  // The limits of the one to four bytes in which MQTT writes a length.
  for (const [payloadBytes, lengthBytes] of [
    [0, [5]],
    [122, [0x7f]],
    [123, [0x80, 1]],
    [16_378, [0xff, 0x7f]],
    [16_379, [0x80, 0x80, 1]],
    [2_097_147, [0x80, 0x80, 0x80, 1]],
  ] as const) {
    const roomy = Buffer.alloc(linkRoomBytes + payloadBytes, 0xee);
    const packet = framePacket(roomy, "a/b");
    const header = Buffer.from([0x30, ...lengthBytes, 0, 3, ..."a/b".split("").map((c) => c.charCodeAt(0))]);
    assert.deepEqual(packet.subarray(0, header.length), header, `${payloadBytes} bytes`);
    assert.ok(packet.subarray(header.length).equals(Buffer.alloc(payloadBytes, 0xee)), `${payloadBytes} bytes`);
    assert.equal(packet.buffer, roomy.buffer, "nothing is copied");
  }
});

test("a topic that does not fit the room is refused before a byte is written", () => {
  const roomy = Buffer.alloc(linkRoomBytes + 4, 0xee);
  assert.throws(() => framePacket(roomy, "t".repeat(linkRoomBytes)), RangeError);
  assert.ok(roomy.every((byte) => byte === 0xee));
});
