/** More than 10 MB announced without so much as a key (FLM-114). FLM does not read it. */
import type { Detector } from './detector';

const LARGE_BYTES = 10_000_000;

export const largeBody: Detector = {
  kind: 'anomaly',
  severity: 'low',
  about: 'A large body without a key',
  score: ({ bodyBytes, hasCredentials }) => (bodyBytes > LARGE_BYTES && !hasCredentials ? 20 : 0),
};
