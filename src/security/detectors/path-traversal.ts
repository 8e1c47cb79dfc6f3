/** A path or query that climbs out of a folder (FLM-113), or asks for a file of the system by its name. */
import type { Detector } from './detector';

const CLIMBS = /\.\.[/\\]|[/\\]\.\.(?:$|[?&])/;
const FILES = /\/etc\/(?:passwd|shadow|hosts|group)|\/proc\/self\/|\b(?:win|boot)\.ini\b|\/windows\/system32/;

export const pathTraversal: Detector = {
  kind: 'intrusion',
  severity: 'high',
  about: 'A path that climbs out of its folder',
  score: ({ text }) => (CLIMBS.test(text) || FILES.test(text) ? 20 : 0),
};
