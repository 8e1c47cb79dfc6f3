/** A path that nobody asks for who has business here (FLM-116). */
import type { Detector } from './detector';

export const honeypotAccess: Detector = {
  kind: 'honeypot',
  severity: 'medium',
  about: 'A path that only attackers look for',
  score: ({ isHoneypot }) => (isHoneypot ? 10 : 0),
};
