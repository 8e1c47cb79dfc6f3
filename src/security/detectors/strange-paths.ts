/** Path after path where nothing is (FLM-113, FLM-114): a list is being tried. The same one again and again is a mistake. */
import type { Detector } from './detector';

/** Different ones that a minute has for nothing. */
const FREE = 8;

export const strangePaths: Detector = {
  kind: 'intrusion',
  severity: 'medium',
  about: 'One unknown path after the other',
  score: (_, { strangePaths: count, isNewStrangePath }) => (isNewStrangePath && count > FREE ? 10 : 0),
};
