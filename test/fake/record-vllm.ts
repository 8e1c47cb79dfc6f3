/**
 * Turns transcripts of a real vLLM, made with curl, into test/golden/vllm: `bun test/fake/record-vllm.ts FOLDER`.
 * vLLM is too heavy to be asked anew each time; its README.md says where the transcripts come from.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Section, UNFRAMED } from './golden';
import { findHeader, parseHead } from './message';
import { buildRequest } from './raw-client';
import { createRecorder, note } from './recorder';

/** What is taken, and its name here. */
const TAKEN: Record<string, string> = {
  '01-version': 'version',
  '02-health': 'health',
  '03-models': 'models',
  '04-metrics-before': 'metrics',
  '06-head-models': 'head-models',
  '06b-options-chat': 'options',
  '08-models-one': 'error-one-model',
  '09-load': 'load',
  '09b-ping': 'ping',
  '09c-root': 'error-root',
  '10-chat': 'chat',
  '10b-chat-reqid': 'chat-request-id',
  '10c-chat-len': 'chat-length',
  '10f-nomodel': 'chat-no-model',
  '11-stream': 'chat-stream',
  '12-stream-usage': 'chat-stream-usage',
  '13-stream-cont': 'chat-stream-usage-continuous',
  '13b-stream-cont-only': 'chat-stream-continuous-only',
  '13c-streamopts-nostream': 'error-stream-options-without-stream',
  '27-tool-result': 'tool-result',
  '30-tools-required-strict': 'tool-call',
  '31-tools-named-strict': 'tool-call-named',
  '32-tools-required-strict-stream': 'tool-call-stream-usage',
  '34-json-schema': 'chat-json-schema',
  '37-logprobs': 'chat-logprobs',
  '37b-logprobs-stream': 'chat-logprobs-stream',
  '38-n2': 'chat-n2',
  '38b-n2-stream': 'chat-n2-stream-usage',
  '40-completion': 'completion',
  '41-completion-stream': 'completion-stream-usage',
  '42-embeddings': 'error-embeddings',
  '50-responses': 'responses',
  '51-responses-stream': 'responses-length-stream',
  '51b-responses-get': 'error-one-response',
  '52-messages': 'messages',
  '53-messages-stream': 'messages-length-stream',
  '54-messages-count': 'messages-count-tokens',
  '55-messages-err-model': 'error-messages-wrong-model',
  '55b-messages-bad': 'error-messages-fields',
  '56-tokenize': 'tokenize',
  '57-detokenize': 'detokenize',
  '60-err-model': 'error-wrong-model',
  '61-err-json': 'error-bad-json',
  '61b-err-empty': 'error-empty-body',
  '62b-err-msgs-missing': 'error-no-messages',
  '63-err-ctx-prompt': 'error-context',
  '64-err-stream-model': 'error-wrong-model-stream',
  '65-404': 'error-unknown-route',
  '65b-405': 'error-wrong-method',
  '66-trailing-slash': 'error-trailing-slash',
  '80-key-none': 'key-missing',
  '80b-key-wrong': 'key-wrong',
  '80d-key-xapikey-messages': 'key-x-api-key-messages',
  '80e-key-lower-bearer': 'key-lower-case-scheme',
  '80i-stream-forced-usage': 'chat-stream-usage-forced',
  '83-invocations-nokey': 'key-missing-invocations',
  '90-enginekill-stream': 'error-frame-engine-died',
  '91-enginekill-nonstream': 'error-engine-died',
};

const folder = process.argv[2];
if (folder === undefined) throw new Error('where are the transcripts?');
const { save } = createRecorder('vllm');
for (const [from, to] of Object.entries(TAKEN)) save(to, convert(readFileSync(join(folder, `${from}.txt`))));
save('error-frame', takeQueued(readFileSync(join(folder, '97-queue-full.txt'))));
save('disconnect', takeTimes(readFileSync(join(folder, '70-disconnect.txt'), 'utf8')));
save('key-by-route', takeRows(readFileSync(join(folder, '81-auth-by-route.txt'), 'utf8')));

/** `# curl …`, `>>> method path`, `>>> headers`, `>>>`, body, `<<< (time)`, then what curl printed. */
function convert(transcript: Buffer): Section[] {
  const at = transcript.indexOf('HTTP/1.1 ');
  const asked = transcript.toString('utf8', 0, Math.max(0, at));
  const response = withCrlf(transcript.subarray(at));
  const [, method = 'POST', path = '/v1/chat/completions'] = /^>>> (\S+) (\S+)$/m.exec(asked) ?? [];
  const headers = [...asked.matchAll(/^>>> ([\w-]+): (.*)$/gm)].map(
    (match) => [match[1] ?? '', match[2] ?? ''] as const,
  );
  const body = /^>>>\s*\n([\s\S]*?)\n?<<< /m.exec(asked)?.[1];
  const own = headers.filter(([name]) => !/^content-type$/i.test(name));
  const request = buildRequest(method, path, body, own);
  const shown = request.toString().replace(/(word ){99,}/, 'word … ');
  return [{ title: 'request', bytes: Buffer.from(shown) }, ...answered(response, method)];
}

/** Some transcripts went through a text filter, which took the heads' CR away. */
function withCrlf(response: Buffer): Buffer {
  if (parseHead(response)) return response;
  const text = response.toString();
  const end = text.indexOf('\n\n');
  return Buffer.from(`${text.slice(0, end).replaceAll('\n', '\r\n')}\r\n\r\n${text.slice(end + 2)}`);
}

function answered(response: Buffer, method: string): Section[] {
  const head = parseHead(response);
  if (!head) throw new Error('no answer');
  const content = response.subarray(head.bytes);
  if (!/event-stream/.test(findHeader(head.headers, 'content-type') ?? '')) {
    const length = method === 'HEAD' ? 0 : Number(findHeader(head.headers, 'content-length') ?? 0);
    const end = head.bytes + Math.min(length, content.length);
    return [{ title: 'response', bytes: response.subarray(0, end) }];
  }
  const events = content
    .toString()
    .split('\n\n')
    .map((event) => event.trim())
    .filter((event) => /^(data|event): /.test(event));
  const kept = events.length > 18 ? [...events.slice(0, 6), ...events.slice(-4)] : events;
  const left = note(`note: ${events.length - 10} events from the middle are left out here`);
  const bytes = Buffer.concat([
    response.subarray(0, head.bytes),
    Buffer.from(kept.map((event) => `${event}\n\n`).join('')),
  ]);
  return [...(kept === events ? [] : [left]), { title: UNFRAMED, bytes }];
}

/** The one streamed answer among those to ten requests at once: 200, and then refused. */
function takeQueued(transcript: Buffer): Section[] {
  const at = transcript.indexOf('--- 6 stream\n');
  const part = transcript.subarray(at + 13, transcript.indexOf('--- 8 stream'));
  const messages = [{ role: 'user', content: 'What is the capital of France?' }];
  const request = buildRequest('POST', '/v1/chat/completions', { model: 'smollm2', messages, stream: true });
  const remark =
    'note: --max-num-seqs 2 --max-num-queued-reqs 3, ten at once; the request is not the recorded one';
  return [note(remark), { title: 'request', bytes: request }, ...answered(withCrlf(part), 'POST')];
}

/** Which request ran on, and for how long, after its client had left. */
function takeTimes(text: string): Section[] {
  const blocks = text.split('== ').slice(1);
  return blocks.map((block) => {
    const [title = ''] = block.split(' {');
    const running = [...block.matchAll(/^ {2}(.*?) *\{'running': ([\d.]+)/gm)].map(
      (match) => `${match[1]}: ${Number(match[2])}`,
    );
    return note(`note: ${title}; num_requests_running ${running.join(', ')}`);
  });
}

function takeRows(text: string): Section[] {
  return text
    .split('\n')
    .flatMap((row) => (row.trim() === '' ? [] : [note(`note: ${row.replace(/ +/g, ' ')}`)]));
}
