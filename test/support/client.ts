/** What a client of the proxy sends in tests, with nothing but fetch. */

export interface ChatOptions {
  readonly key: string;
  readonly model: string;
  readonly stream?: boolean;
  readonly content?: string;
  readonly maxTokens?: number;
  readonly signal?: AbortSignal;
}

/** Asks `POST /v1/chat/completions`, on a connection of its own. */
export function chat(url: string, options: ChatOptions): Promise<Response> {
  const { key, model, stream = false, content = 'Hello', maxTokens, signal } = options;
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    keepalive: false,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({
      model,
      stream,
      messages: [{ role: 'user', content }],
      ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    }),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** The code of a refusal in OpenAI's shape, or the status where it is none. */
export async function codeOf(response: Response): Promise<string> {
  const json: unknown = await response.json().catch(() => null);
  const { error } = (json ?? {}) as { error?: { code?: unknown } };
  return error === undefined ? `${response.status}` : `${response.status} ${String(error.code)}`;
}

/** The payloads of a stream of events, until it ends or breaks off. */
export async function eventsOf(response: Response): Promise<{ events: string[]; whole: boolean }> {
  const decoder = new TextDecoder();
  let text = '';
  let whole = true;
  try {
    for await (const chunk of response.body ?? []) text += decoder.decode(chunk, { stream: true });
  } catch {
    whole = false;
  }
  const events = text.split('\n\n').filter((event) => event.startsWith('data: '));
  return { events: events.map((event) => event.slice('data: '.length)), whole };
}
