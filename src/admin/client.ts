/** The admin API from the other side: what the CLI calls when FLM runs. Same interfaces as the rooms' own. */
import type { CreatedKey, KeysApi } from '../admission';
import type { ConfigApi } from '../config';
import type { DaemonApi } from '../daemon';
import { type Egress, EgressError } from '../egress';
import type { EnginesApi } from '../engines';
import { errorFromWire, FlmError } from '../lib/errors';
import { isRecord, parseJson } from '../lib/json';
import type { ProxiesApi } from '../listeners';
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
  readonly proxies: Omit<ProxiesApi, 'start'>;
  status(signal?: AbortSignal): Promise<Status>;
  check(): Promise<CheckReport>;
}

export interface AdminClient extends OwnerApi {
  readonly keys: KeysApi & { ephemeral(): Promise<Pick<CreatedKey, 'plain_key'>> };
  readonly proxies: ProxiesApi;
  readonly daemon: DaemonApi;
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
      if (error instanceof EgressError) throw new FlmError('PROXY_NOT_RUNNING', { cause: error });
      throw error;
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
    proxies: {
      list: () => call('GET', '/proxies/'),
      start: (input) => call('POST', '/proxies/', input),
      stop: (selector) => call('POST', '/proxies/stop', selector),
      reload: (selector) => call('POST', '/proxies/reload', selector),
    },
    daemon: {
      stop: () => call('POST', '/daemon/stop'),
      handOver: () => call('POST', '/daemon/hand-over'),
      elder: (report) => call('POST', '/daemon/elders', report),
    },
    status: (signal) => call('GET', '/status', undefined, signal),
    check: () => call('GET', '/check'),
  };
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
