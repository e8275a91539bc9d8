import assert from "node:assert/strict";
import { test } from "node:test";
import sharp from "sharp";
import { ImagePreprocess } from "../../model/preprocess/image.js";
import { decodeImage, defaultImageLimits } from "./sharp-image.js";

type Colour = readonly [number, number, number];
const [red, green, blue, white, black]: Colour[] = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
  [255, 255, 255],
  [0, 0, 0],
] as const;

/** A picture of the given rows of colours, not yet encoded. */
function picture(rows: readonly (readonly (Colour | undefined)[])[]) {
  const data = Uint8Array.from(rows.flat().flatMap((colour) => colour ?? [0, 0, 0]));
  return sharp(data, { raw: { width: rows[0]?.length ?? 0, height: rows.length, channels: 3 } });
}

const spec = (width: number, height: number, mode = "fill", exifTurn = true) =>
  ImagePreprocess.parse({ resize: { width, height, mode }, exifTurn });

const quarters = [
  [red, green],
  [blue, white],
];

function colours(data: Uint8Array): number[][] {
  return Array.from({ length: data.length / 3 }, (_, at) => [...data.subarray(at * 3, at * 3 + 3)]);
}

test("a picture comes back as rows of RGB bytes", async () => {
  const pixels = await decodeImage(await picture(quarters).png().toBuffer(), spec(2, 2));
  assert.deepEqual([pixels.width, pixels.height], [2, 2]);
  assert.deepEqual(colours(pixels.data), quarters.flat());
});

test("PNG, JPEG and WebP are read, grey and transparent pictures too", async () => {
  const flat = () => picture([new Array<Colour>(16).fill([120, 120, 120])]).resize(16, 16);
  const files = [
    await flat().png().toBuffer(),
    await flat().jpeg().toBuffer(),
    await flat().webp().toBuffer(),
    await flat().greyscale().png().toBuffer(),
    await flat().greyscale().jpeg().toBuffer(),
    await flat().png({ palette: true }).toBuffer(),
    await flat().toColourspace("rgb16").png().toBuffer(),
    await flat().toColourspace("cmyk").jpeg().toBuffer(), // Printers' colours do not come back exactly.
  ];
  for (const [at, file] of files.entries()) {
    const { data } = await decodeImage(file, spec(4, 4));
    assert.equal(data.length, 48, `file ${at}`);
    for (const value of data) assert.ok(Math.abs(value - 120) <= (at === 7 ? 15 : 3), `file ${at}: ${value}`);
  }
  const clear = await sharp({ create: { width: 4, height: 4, channels: 4, background: "#ffffff00" } })
    .png()
    .toBuffer();
  assert.deepEqual(colours((await decodeImage(clear, spec(1, 1))).data), [black]);
});

test("a picture is turned as its EXIF says, unless the pipeline does not want that", async () => {
  // Orientation 6: to be shown turned by 90° clockwise.
  const file = await picture(quarters)
    .resize(64, 64, { kernel: "nearest" })
    .withMetadata({ orientation: 6 })
    .toFormat("png")
    .toBuffer();
  const seen = async (exifTurn: boolean) =>
    colours((await decodeImage(file, spec(2, 2, "fill", exifTurn))).data).map((colour) =>
      colour.map((value) => Math.round(value / 255) * 255),
    );
  assert.deepEqual(await seen(false), quarters.flat());
  assert.deepEqual(await seen(true), [blue, red, white, green]);
});

test("fill stretches, contain pads with black, cover cuts", async () => {
  const wide = await picture([[white, white, white, white]])
    .resize(40, 10, { kernel: "nearest" })
    .png()
    .toBuffer();
  const mean = async (mode: string) => {
    const { data } = await decodeImage(wide, spec(20, 20, mode));
    assert.equal(data.length, 1200);
    return data.reduce((a, b) => a + b) / data.length / 255;
  };
  assert.equal(await mean("fill"), 1);
  assert.equal(await mean("cover"), 1);
  assert.ok(Math.abs((await mean("contain")) - 0.25) < 0.03);
});

test("bytes that are no picture, or half of one, are refused with what to do", async () => {
  const png = await picture(quarters).resize(64, 64).png().toBuffer();
  const refused = (bytes: Uint8Array, message: RegExp) =>
    assert.rejects(decodeImage(bytes, spec(8, 8)), { code: "image/invalid", message });
  await refused(new Uint8Array(), /no JPEG, PNG or WebP image; send one of these/);
  await refused(Buffer.from("hello"), /send one of these/);
  await refused(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'), /send one of these/);
  await refused(Buffer.from("GIF89a"), /send one of these/);
  await refused(png.subarray(0, png.length / 2), /cannot be decoded/);
  await refused(png.subarray(0, 8), /cannot be decoded/);
  await refused(Buffer.from([0xff, 0xd8, 0xff, 0xe0]), /cannot be decoded/);
});

test("a picture with too many bytes or pixels is refused before it is decoded", async () => {
  const png = await sharp({ create: { width: 300, height: 300, channels: 3, background: "red" } })
    .png()
    .toBuffer();
  const limits = { ...defaultImageLimits, maxPixels: 89_999 };
  await assert.rejects(decodeImage(png, spec(8, 8), limits), {
    code: "image/too-large",
    message: /more than the 89999 pixels/,
  });
  await assert.rejects(decodeImage(png, spec(8, 8), { ...defaultImageLimits, maxBytes: png.length - 1 }), {
    code: "image/too-large",
    message: /bytes, at most/,
  });
  await decodeImage(png, spec(8, 8), { ...defaultImageLimits, maxBytes: png.length, maxPixels: 90_000 });
});

test("a region, a crop, padding and sizes that follow the picture give the pixels they name", async () => {
  const file = await picture(quarters).resize(80, 80, { kernel: "nearest" }).png().toBuffer();
  const seen = async (preprocess: object) => {
    const pixels = await decodeImage(file, ImagePreprocess.parse(preprocess));
    const at = (x: number, y: number) => colours(pixels.data)[y * pixels.width + x];
    return { size: [pixels.width, pixels.height], at };
  };
  const corner = await seen({
    resize: { width: 8, height: 8 },
    region: { left: 0.5, top: 0, width: 0.5, height: 0.5 },
  });
  assert.deepEqual([corner.at(0, 0), corner.at(7, 7)], [green, green]);
  const crop = await seen({ resize: { width: 80, height: 80 }, crop: { width: 4, height: 2 } });
  assert.deepEqual([crop.size, crop.at(0, 0), crop.at(3, 1)], [[4, 2], red, white]);
  const pad = [9, 8, 7];
  const padded = await seen({ resize: { width: 40, height: 20, mode: "contain", pad, kernel: "nearest" } });
  assert.deepEqual([padded.at(0, 0), padded.at(10, 0), padded.at(29, 19), padded.at(30, 0)], [pad, red, white, pad]);
  const start = await seen({
    resize: { width: 40, height: 20, mode: "contain", pad, align: "start", kernel: "nearest" },
  });
  assert.deepEqual([start.at(0, 0), start.at(20, 0), start.at(39, 19)], [red, pad, pad]);
  assert.deepEqual((await seen({ resize: { maxSide: 64, multipleOf: 32 } })).size, [64, 64]);
  assert.deepEqual((await seen({ resize: { height: 20, maxWidth: 100 } })).size, [20, 20]);
});

test("a turned picture is placed by the size it is seen in", async () => {
  const wide = await picture([[white, white]])
    .resize(64, 32)
    .withMetadata({ orientation: 6 })
    .png()
    .toBuffer();
  const { placement } = await decodeImage(wide, spec(32, 32, "contain"), defaultImageLimits, true);
  assert.deepEqual(placement?.picture, { width: 32, height: 64 });
  assert.deepEqual(placement?.to, { left: 8, top: 0, width: 16, height: 32 });
});
