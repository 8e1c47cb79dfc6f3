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
  if (isRecord(options) && !('include_usage' in options || 'continuous_usage_stats' in options)) {
    const at = span.start + 1;
    return { start: at, end: at, json: `"include_usage":true${Object.keys(options).length > 0 ? ',' : ''}` };
  }
  // continuous_usage_stats does nothing without include_usage (vLLM), and would come to life with it.
  const { continuous_usage_stats: _, ...others } = isRecord(options) ? options : {};
  return { ...span, json: JSON.stringify({ ...others, include_usage: true }) };
}
