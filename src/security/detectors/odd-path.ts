/** Paths that no client builds (FLM-114): very long, very deep, the same part over and over, characters of other languages. */
import type { Detector } from './detector';

const LONG_CHARS = 2_000;
const DEEP_PARTS = 12;
const ODD = /[<>"\\\0]/;
const REPEATED = /\/([^/]+)(?:\/\1){3,}(?:\/|$)/;

export const oddPath: Detector = {
  kind: 'anomaly',
  severity: 'low',
  about: 'A path that no client builds',
  score: ({ path, text }) => {
    const isModel = path.startsWith('/v1/models/');
    let score = 0;
    if (path.length > LONG_CHARS) score += 10;
    if (!isModel && path.split('/', DEEP_PARTS + 2).length > DEEP_PARTS + 1) score += 5;
    if (REPEATED.test(path)) score += 10;
    if (!isModel && ODD.test(text.split('?', 1)[0] ?? '')) score += 15;
    return score;
  },
};
