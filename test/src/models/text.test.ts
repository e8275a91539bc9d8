import assert from "node:assert/strict";
import { test } from "node:test";
import type { TextAnswer, TextBoxesAnswer } from "@muster/shared/inference";
import { labelText } from "../fixtures/labels.js";
import { textDetector, textDetectorFile, textReader, textReaderFile } from "../fixtures/ocr-models.js";
import { type PrintedLine, printedPage } from "../fixtures/printed-page.js";
import { ask } from "./ask.js";

test("lines of text are found where they were printed, small, large and turned", async () => {
  const lines: PrintedLine[] = [
    { text: "LOT 4821-C", x: 100, y: 120, size: 48 },
    { text: "EXP 2027-03-14", x: 800, y: 400, size: 60 },
    { text: "SN 00412377", x: 300, y: 800, size: 64, turn: -12 },
  ];
  const [reading] = await ask(textDetectorFile, textDetector, [await printedPage(1600, 1000, lines)]);
  assert.ok(reading !== undefined);
  const { boxes } = reading.answer as TextBoxesAnswer;
  assert.equal(boxes.length, 3, JSON.stringify(boxes));
  for (const [at, { text, x, y, size }] of lines.slice(0, 2).entries()) {
    const { box, confidence } = boxes[at] as TextBoxesAnswer["boxes"][number];
    // DejaVu's letters are about 0.6 em wide and 0.73 em high.
    assert.ok(Math.abs(box.left - x) < size / 3, `${box.left}`);
    assert.ok(Math.abs(box.width - text.length * size * 0.6) < size * 1.5, `${box.width}`);
    assert.ok(Math.abs(box.top + box.height / 2 - (y - size * 0.36)) < size / 3, `${box.top}`);
    assert.ok(box.height > size * 0.7 && box.height < size * 1.4 && confidence > 0.7, `${box.height} ${confidence}`);
  }
  const [from = [0, 0], to = [0, 0]] = boxes[2]?.corners ?? [];
  const degrees = (Math.atan2(to[1] - from[1], to[0] - from[0]) * 180) / Math.PI;
  assert.ok(Math.abs(degrees + 12) < 2, `${degrees}`);
  assert.equal(reading.features().objects, 3);

  const expected = boxes.map(({ box }) => [box.left + 3, box.top, box.width, box.height]);
  const limits = { tolerance: 0.1, minIou: 0.8 };
  assert.equal(reading.fault({ boxes: expected }, limits), undefined);
  assert.match(reading.fault({ boxes: expected.slice(1) }, limits) ?? "", /not expected/);
});

test("an empty page has no lines", async () => {
  const [reading] = await ask(textDetectorFile, textDetector, [await printedPage(640, 480, [])]);
  assert.deepEqual(reading?.answer, { boxes: [] });
});

test("printed labels are read to the letter, each in a tensor as wide as its text", async () => {
  const texts = Array.from({ length: 12 }, (_, at) => labelText(at + 1));
  const pictures = await Promise.all(
    texts.map((text) => printedPage(text.length * 25 + 20, 60, [{ text, x: 10, y: 45, size: 38 }])),
  );
  const readings = await ask(textReaderFile, textReader(), pictures);
  assert.deepEqual(
    readings.map(({ answer }) => (answer as TextAnswer).text),
    texts,
  );
  for (const { answer } of readings) assert.ok((answer as TextAnswer).confidence > 0.9, JSON.stringify(answer));
  assert.equal(readings[0]?.fault({ text: texts[0] ?? "" }, { tolerance: 0.1 }), undefined);
  assert.match(readings[0]?.fault({ text: "LOT" }, { tolerance: 0.1 }) ?? "", /expected "LOT", read/);
});

test("lines of one width share a run and read the same as alone", async () => {
  const pictures = await Promise.all(
    ["ABC 123", "XYZ 789"].map((text) => printedPage(200, 60, [{ text, x: 10, y: 45, size: 38 }])),
  );
  const together = await ask(textReaderFile, textReader(), pictures);
  const alone = (await Promise.all(pictures.map((one) => ask(textReaderFile, textReader(), [one])))).flat();
  assert.deepEqual(
    together.map(({ answer }) => (answer as TextAnswer).text),
    ["ABC 123", "XYZ 789"],
  );
  assert.deepEqual(
    alone.map(({ answer }) => (answer as TextAnswer).text),
    ["ABC 123", "XYZ 789"],
  );
});
