/** Zero crossings of the filter on each side; 16 leave aliases some 60 dB down. */
const crossings = 16;
/** Where the filter begins to fall, as a share of the lower of both bandwidths. */
const rolloff = 0.95;

/**
 * The samples at another rate: band-limited interpolation by a sinc under a Hann window, one row of weights per phase
 * (J. O. Smith, "Digital Audio Resampling"). The length is that of the input times `to / from`, rounded.
 */
export function resample(data: Float32Array, from: number, to: number): Float32Array {
  if (from === to) return data;
  const common = divisor(from, to);
  const [step, phases] = [from / common, to / common];
  const cutoff = rolloff * Math.min(1, to / from);
  const reach = Math.ceil(crossings / cutoff);
  const weights = filterBank(phases, reach, cutoff);
  const width = 2 * reach;
  const result = new Float32Array(Math.round((data.length * to) / from));
  for (let at = 0; at < result.length; at += 1) {
    // Position of this sample among the old ones: base + phase / phases.
    const phase = (at * step) % phases;
    const base = (at * step - phase) / phases;
    const first = base - reach + 1;
    const row = phase * width;
    let sum = 0;
    for (let tap = Math.max(0, -first); tap < width && first + tap < data.length; tap += 1) {
      sum += (data[first + tap] as number) * (weights[row + tap] as number);
    }
    result[at] = sum;
  }
  return result;
}

/** Weights of the samples around each phase; every row adds up to 1, so that silence and constants stay what they are. */
function filterBank(phases: number, reach: number, cutoff: number): Float64Array {
  const width = 2 * reach;
  const weights = new Float64Array(phases * width);
  for (let phase = 0; phase < phases; phase += 1) {
    const row = weights.subarray(phase * width, (phase + 1) * width);
    for (let tap = 0; tap < width; tap += 1) {
      const distance = tap - reach + 1 - phase / phases;
      const window = Math.abs(distance) >= reach ? 0 : 0.5 + 0.5 * Math.cos((Math.PI * distance) / reach);
      row[tap] = window * sinc(cutoff * distance);
    }
    const sum = row.reduce((a, b) => a + b, 0);
    for (let tap = 0; tap < width; tap += 1) row[tap] = (row[tap] as number) / sum;
  }
  return weights;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}
