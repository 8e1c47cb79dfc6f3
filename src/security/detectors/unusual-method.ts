/** Methods that no client of an API uses (FLM-113): those FLM refuses, and OPTIONS in bulk that are no preflights. */
import type { Detector } from './detector';

const USUAL: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
/** A curious person tries once or twice. */
const FREE_OPTIONS = 5;

export const unusualMethod: Detector = {
  kind: 'intrusion',
  severity: 'low',
  about: 'A method that no client uses',
  score: ({ method, isPreflight }, { options }) => {
    if (!USUAL.has(method)) return 10;
    return method === 'OPTIONS' && !isPreflight && options > FREE_OPTIONS ? 10 : 0;
  },
};
