/** What drift of recordings is watched by. */
export const audioFeatureNames = ["level", "crossings", "centroid"] as const;
export type AudioFeatures = Record<(typeof audioFeatureNames)[number], number>;

/** Samples of a spectrum, a power of two, and how many spectra are looked at, spread over the recording. */
const spectrumSize = 512;
const maxSpectra = 32;

/**
 * Features of a recording at the model's rate: level is the root mean square in dB below full scale, at least −100; crossings the
 * share of samples at which the sign changes; centroid the mean frequency, Hz, weighted by magnitude.
 */
export function audioFeatures(data: Float32Array, rate: number): AudioFeatures {
  let squares = 0;
  let changes = 0;
  for (let at = 0; at < data.length; at += 1) {
    const sample = data[at] as number;
    squares += sample * sample;
    if (at > 0 && sample < 0 !== (data[at - 1] as number) < 0) changes += 1;
  }
  const level = Math.max(-100, 10 * Math.log10(squares / Math.max(1, data.length)));
  return { level, crossings: changes / Math.max(1, data.length - 1), centroid: centroid(data, rate) };
}

function centroid(data: Float32Array, rate: number): number {
  const last = Math.max(0, data.length - spectrumSize);
  const count = Math.min(maxSpectra, Math.floor(last / spectrumSize) + 1);
  let weighted = 0;
  let sum = 0;
  for (let at = 0; at < count; at += 1) {
    const start = count === 1 ? 0 : Math.floor((at * last) / (count - 1));
    for (const [bin, magnitude] of magnitudes(data.subarray(start, start + spectrumSize)).entries()) {
      weighted += (magnitude * bin * rate) / spectrumSize;
      sum += magnitude;
    }
  }
  return sum === 0 ? 0 : weighted / sum;
}

/** Magnitudes of the frequencies up to half the rate, under a Hann window; radix-2 FFT (Cooley and Tukey, 1965). */
function magnitudes(samples: Float32Array): Float64Array {
  const size = spectrumSize;
  const re = new Float64Array(size);
  const im = new Float64Array(size);
  for (let at = 0; at < size; at += 1) {
    let reversed = 0;
    for (let bit = 1; bit < size; bit *= 2) reversed = reversed * 2 + (at & bit ? 1 : 0);
    re[reversed] = (samples[at] ?? 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * at) / size));
  }
  for (let half = 1; half < size; half *= 2) {
    for (let k = 0; k < half; k += 1) {
      const [wr, wi] = [Math.cos((-Math.PI * k) / half), Math.sin((-Math.PI * k) / half)];
      for (let a = k; a < size; a += 2 * half) {
        const b = a + half;
        const tr = (re[b] as number) * wr - (im[b] as number) * wi;
        const ti = (re[b] as number) * wi + (im[b] as number) * wr;
        re[b] = (re[a] as number) - tr;
        im[b] = (im[a] as number) - ti;
        re[a] = (re[a] as number) + tr;
        im[a] = (im[a] as number) + ti;
      }
    }
  }
  return Float64Array.from({ length: size / 2 + 1 }, (_, at) => Math.hypot(re[at] as number, im[at] as number));
}
