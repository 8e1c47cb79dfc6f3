/** The only two changes FLM makes to a request body: the engine's own model name, and the request for usage. */
import { isRecord } from '../lib/json';
import type { Scan, Span, Units } from './scan';

export interface Splice {
  /** The model name to put in, or null to leave it. */
  readonly model: string | null;
  /** Whether to ask the stream for its token counts. */
  readonly askUsage: boolean;
}

/** The body with the changes made; every other character stays where it was. */
export function spliceBody(text: string, scan: Scan, units: Units, { model, askUsage }: Splice): string {
  const edits: (Span & { readonly json: string })[] = [];
  if (model !== null) edits.push({ ...scan.modelSpan, json: JSON.stringify(model) });
  if (askUsage) edits.push(usageEdit(text, scan, units));
  edits.sort((a, b) => b.start - a.start);
  return edits.reduce((out, { start, end, json }) => {
    const piece = units === 'latin1' ? Buffer.from(json, 'utf8').toString('latin1') : json;
    return out.slice(0, start) + piece + out.slice(end);
  }, text);
}

function usageEdit(text: string, scan: Scan, units: Units): Span & { readonly json: string } {
  const span = scan.streamOptionsSpan;
  if (span === null) {
    return { start: scan.bodyStart, end: scan.bodyStart, json: '"stream_options":{"include_usage":true},' };
  }
  const slice = text.slice(span.start, span.end);
  const options: unknown = JSON.parse(
    units === 'latin1' ? Buffer.from(slice, 'latin1').toString('utf8') : slice,
  );
  const merged = { ...(isRecord(options) ? options : {}), include_usage: true };
  return { ...span, json: JSON.stringify(merged) };
}
