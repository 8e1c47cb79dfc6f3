/** More requests than a client sends that is refused every time (FLM-114): at 100 a second or 1,000 a minute. */
import type { Detector } from './detector';

/** The limit of a minute, as a multiple of that of a second. */
const SECONDS_A_MINUTE = 10;

export const requestRate: Detector = {
  kind: 'anomaly',
  severity: 'medium',
  about: 'More requests than any client sends',
  // Once for each second or minute that reaches it, not for each request after that.
  score: (_, { requestsThisSecond, requestsThisMinute, requestsPerSecondLimit: limit }) =>
    requestsThisSecond === limit || requestsThisMinute === limit * SECONDS_A_MINUTE ? 30 : 0,
};
