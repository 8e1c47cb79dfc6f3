/** The admin API from the other side: what the CLI calls when FLM runs. Same interfaces as the rooms' own. */
import type { CreatedKey, KeysApi } from '../admission';
import type { AuditApi, AuditEntry, WatchQuery } from '../audit';
import type { ConfigApi } from '../config';
import { type Egress, EgressError, type EgressResponse } from '../egress';
import type { EnginesApi } from '../engines';
import { errorFromWire, FlmError } from '../lib/errors';
import { isRecord, parseJson } from '../lib/json';
import { createSseSplitter, dataOf, eventsIn } from '../lib/sse';
import type { ModelsApi } from '../models';
import type { CheckReport, Status } from './model';
import { wayTo } from './socket';

export type { CheckReport, Status } from './model';

/** What the owner can do, whether FLM runs or not. */
export interface OwnerApi {
  readonly keys: KeysApi;
  readonly engines: EnginesApi;
  readonly config: ConfigApi;
  readonly models: ModelsApi;
  readonly audit: AuditApi;
  status(signal?: AbortSignal): Promise<Status>;
  check(): Promise<CheckReport>;
}

export interface AdminClient extends OwnerApi {
  readonly keys: KeysApi & { ephemeral(): Promise<Pick<CreatedKey, 'plain_key'>> };
  readonly audit: AuditApi & {
    /** Rows as they are put on record, after row `after` or some of the newest first. Ends with the connection. */
    watch(query: WatchQuery, after: number | null, signal: AbortSignal): AsyncIterable<AuditEntry>;
  };
}

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/**
 * A client of the FLM that listens on the socket. Its calls throw PROXY_NOT_RUNNING when none does.
 * @throws IO_ERROR when the socket could be another user's
 */
export function createAdminClient(egress: Egress, socket: string): AdminClient {
  // Never closed: a program has one client, which it needs to its end.
  const { path: unixSocket } = wayTo(socket);

  async function call<Result>(
    method: Method,
    path: string,
    body?: unknown,
    signal: AbortSignal | null = null,
  ): Promise<Result> {
    const json = await send(method, path, body, signal);
    // Both ends are one version of one program: the answer has passed its schema where it was made.
    return json as Result;
  }

  async function send(
    method: Method,
    path: string,
    body: unknown,
    signal: AbortSignal | null,
  ): Promise<unknown> {
    try {
      const response = await egress.send({
        url: `http://localhost/api/v1${path}`,
        method,
        headers: body === undefined ? {} : { 'content-type': 'application/json' },
        body: body === undefined ? null : JSON.stringify(body),
        signal,
        unixSocket,
      });
      const json = parseJson(new TextDecoder().decode(await response.body.bytes()));
      if (response.status >= 400) throw errorOf(json);
      return json;
    } catch (error) {
      throw asOurs(error);
    }
  }

  /** The bytes of an answer as they come. */
  async function* stream(
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal | null,
  ): AsyncGenerator<Uint8Array> {
    let response: EgressResponse;
    try {
      const url = `http://localhost/api/v1${path}`;
      response = await egress.send({ url, method: 'GET', headers, body: null, signal, unixSocket });
      if (response.status >= 400)
        throw errorOf(parseJson(new TextDecoder().decode(await response.body.bytes())));
    } catch (error) {
      throw asOurs(error);
    }
    const reader = response.body.reader();
    try {
      for (let bytes = await reader.read(); bytes !== null; bytes = await reader.read()) yield bytes;
    } catch (error) {
      throw asOurs(error);
    } finally {
      reader.cancel();
    }
  }

  async function* exported(query: string): AsyncGenerator<string> {
    const decoder = new TextDecoder();
    for await (const bytes of stream(`/audit/export?${query}`, {}, null))
      yield decoder.decode(bytes, { stream: true });
  }

  async function* watch(query: WatchQuery, after: number | null, signal: AbortSignal) {
    const splitter = createSseSplitter(MAX_EVENT_BYTES);
    const headers: Record<string, string> = after === null ? {} : { 'last-event-id': String(after) };
    for await (const bytes of stream(`/audit/events/stream?${queryOf(query)}`, headers, signal)) {
      const whole = splitter.push(bytes);
      if (whole === null) continue;
      for (const event of eventsIn(whole)) {
        const data = dataOf(event);
        // Made by the same version of the same program, from a row that fits its schema.
        if (data !== null) yield JSON.parse(data) as AuditEntry;
      }
    }
  }

  const part = encodeURIComponent;
  return {
    keys: {
      list: () => call('GET', '/keys/'),
      create: (input) => call('POST', '/keys/', input),
      ephemeral: () => call('POST', '/keys/ephemeral'),
      rotate: (id, input) => call('POST', `/keys/${part(id)}/rotate`, input),
      revoke: (id) => call('POST', `/keys/${part(id)}/revoke`),
    },
    engines: {
      list: () => call('GET', '/engines/'),
      healthHistory: ({ engine, model, hours, limit }) => {
        const query = new URLSearchParams({ hours: String(hours), limit: String(limit) });
        if (engine !== null) query.set('engine', engine);
        if (model !== null) query.set('model', model);
        return call('GET', `/engines/health-history?${query}`);
      },
      add: (input) => call('POST', '/engines/', input),
      detect: () => call('POST', '/engines/detect'),
      remove: (id) => call('DELETE', `/engines/${part(id)}`),
      startTrial: () => call('POST', '/engines/trial/start'),
      stopTrial: () => call('POST', '/engines/trial/stop'),
    },
    config: {
      list: () => call('GET', '/config/'),
      get: (key) => call('GET', `/config/${part(key)}`),
      explain: (key) => call('GET', `/config/${part(key)}/explain`),
      set: (key, value) => call('PUT', `/config/${part(key)}`, { value }),
      unset: (key) => call('DELETE', `/config/${part(key)}`),
    },
    models: {
      list: (engine) => call('GET', `/models/${engine === null ? '' : `?engine=${part(engine)}`}`),
      show: (name) => call('GET', `/models/named?name=${part(name)}`),
      aliases: () => call('GET', '/models/aliases'),
      setAlias: (input) => call('PUT', '/models/aliases', input),
      removeAlias: (name) => call('DELETE', `/models/aliases?name=${part(name)}`),
      strategies: () => call('GET', '/models/strategies'),
      setStrategy: (input) => call('PUT', '/models/strategies', input),
      unsetStrategy: (name) => call('DELETE', `/models/strategies?name=${part(name)}`),
    },
    audit: {
      list: (query) => call('GET', `/audit/events?${queryOf(query)}`),
      export: async (filter, format) => exported(queryOf({ ...filter, format })),
      verify: (checkpoint) => call('GET', `/audit/verify?${queryOf(checkpoint)}`),
      checkpoint: () => call('POST', '/audit/checkpoint'),
      erase: (input) => call('POST', '/audit/erase', input),
      watch,
    },
    status: (signal) => call('GET', '/status', undefined, signal),
    check: () => call('GET', '/check'),
  };
}

/** No row is larger. */
const MAX_EVENT_BYTES = 16_777_216;

function queryOf(fields: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as [string, string]],
  );
  return String(new URLSearchParams(given));
}

/** Whoever does not answer, or not to the end, does not run. */
function asOurs(error: unknown): unknown {
  return error instanceof EgressError ? new FlmError('PROXY_NOT_RUNNING', { cause: error }) : error;
}

function errorOf(json: unknown): FlmError {
  const error = isRecord(json) && isRecord(json.error) ? json.error : {};
  return errorFromWire({
    code: String(error.code),
    message: typeof error.message === 'string' ? error.message : 'The admin API gave no reason.',
    hint: typeof error.hint === 'string' ? error.hint : null,
    requestId: typeof error.request_id === 'string' ? error.request_id : null,
  });
}
