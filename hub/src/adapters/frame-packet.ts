import { linkRoomBytes } from "../ports.js";

/** First byte of an MQTT 3.1.1 PUBLISH of QoS 0 that is neither retained nor sent again (section 3.3.1). */
const publishQos0 = 0x30;

/**
 * A QoS 0 PUBLISH as it goes over the wire, made around the payload that lies behind the room in the buffer. Returns the part
 * of the buffer that is the packet. Throws a `RangeError` when the topic does not fit the room.
 */
export function framePacket(roomy: Buffer, topic: string): Buffer {
  const topicBytes = Buffer.byteLength(topic);
  const remaining = 2 + topicBytes + roomy.length - linkRoomBytes;
  const lengthBytes = remaining < 0x80 ? 1 : remaining < 0x4000 ? 2 : remaining < 0x20_0000 ? 3 : 4;
  const begin = linkRoomBytes - topicBytes - 2 - lengthBytes - 1;
  if (begin < 0) throw new RangeError(`topic of ${topicBytes} bytes does not fit into ${linkRoomBytes}`);
  let at = roomy.writeUInt8(publishQos0, begin);
  for (let left = remaining; at <= begin + lengthBytes; left >>>= 7) {
    at = roomy.writeUInt8((left & 0x7f) | (left > 0x7f ? 0x80 : 0), at);
  }
  roomy.write(topic, roomy.writeUInt16BE(topicBytes, at));
  return roomy.subarray(begin);
}
