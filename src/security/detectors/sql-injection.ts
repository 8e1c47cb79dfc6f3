/** SQL where no client writes any (FLM-113): quotes, ends of statements, comments, and words that only SQL puts together. */
import type { Detector } from './detector';

const QUOTED = /['`;]|--[\s+]|--$|\/\*|\*\//;
// A comment can end in one place only: with .*? a row of them was tried in 2ⁿ ways, and FLM stood still.
const WORDS =
  /\bunion(?:\s|\+|\/\*[^*]*\*+(?:[^/*][^*]*\*+)*\/)+(?:all(?:\s|\+)+)?select\b|\b(?:and|or)(?:\s|\+)+\(?\d+\s*=\s*\d+|\b(?:sleep|benchmark|pg_sleep|waitfor(?:\s|\+)+delay|extractvalue|updatexml|utl_inaddr|dbms_pipe)\b\s*[('.]|\border(?:\s|\+)+by(?:\s|\+)+\d+|information_schema/;

export const sqlInjection: Detector = {
  kind: 'intrusion',
  severity: 'high',
  about: 'SQL in a path or query',
  score: ({ text, query, path }) => {
    if (WORDS.test(text)) return 20;
    // Names of models hold all kinds of characters, and are the end of a path.
    return QUOTED.test(path.startsWith('/v1/models/') ? query : text) ? 20 : 0;
  },
};
