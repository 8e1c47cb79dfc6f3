/** More headers or a longer User-Agent than any client has behind any proxy (FLM-114). */
import type { Detector } from './detector';

const MANY = 64;
const LONG_CHARS = 500;

export const oddHeaders: Detector = {
  kind: 'anomaly',
  severity: 'low',
  about: 'More headers than any client sends',
  score: ({ headers, userAgent }) =>
    (headers > MANY ? 10 : 0) + ((userAgent?.length ?? 0) > LONG_CHARS ? 5 : 0),
};
