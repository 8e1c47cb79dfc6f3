/** Tools that look for holes and say who they are (FLM-113). curl, SDKs and browsers are not among them, nor is silence. */
import type { Detector } from './detector';

const TOOLS =
  /\b(?:sqlmap|nikto|nmap|masscan|zgrab|nuclei|dirbuster|dirb|gobuster|feroxbuster|wfuzz|ffuf|acunetix|nessus|openvas|w3af|whatweb|wpscan|hydra|arachni|netsparker|jaeles|zmeu|morfeus|havij|commix|joomscan|skipfish|vega|libredtail|censysinspect|expanse)\b/i;

export const suspiciousUserAgent: Detector = {
  kind: 'intrusion',
  severity: 'medium',
  about: 'A tool that looks for holes',
  score: ({ userAgent }) => (userAgent !== null && TOOLS.test(userAgent.slice(0, 1_000)) ? 10 : 0),
};
