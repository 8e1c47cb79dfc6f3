/** No User-Agent (FLM-113): counts only together with a path where nothing is, since simple clients have none either. */
import type { Detector } from './detector';

export const emptyUserAgent: Detector = {
  kind: 'intrusion',
  severity: 'low',
  about: 'A strange path, and no User-Agent',
  score: ({ userAgent }, { isNewStrangePath }) =>
    (userAgent ?? '').trim() === '' && isNewStrangePath ? 10 : 0,
};
