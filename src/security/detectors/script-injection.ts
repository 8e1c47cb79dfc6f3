/** HTML, scripts, templates or commands of a shell in a path or query. */
import type { Detector } from './detector';

const SCRIPTS =
  /<\s*(?:script|img|svg|iframe|body|object)\b|javascript:|\bon(?:error|load|click)\s*=|\$\{jndi:|\{\{.{0,100}?\}\}|<\?php|\$\(\w+|\b(?:cat|wget|curl|nc|bash)(?:\s|\+|\$\{ifs\})+[-/h]/;

export const scriptInjection: Detector = {
  kind: 'intrusion',
  severity: 'high',
  about: 'A script or command in a path or query',
  score: ({ text }) => (SCRIPTS.test(text) ? 20 : 0),
};
