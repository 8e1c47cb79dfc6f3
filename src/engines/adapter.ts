/**
 * What an adapter is. An engine is its folder, one registry entry, one fake and one row in the docs; whatever only
 * that engine does stays in its folder, and the others ask for capabilities, never for names (FLM-005).
 */

import type { Cancel, EngineKind, EngineModel, InferenceRoute } from '../contract';
import type { Egress, EgressResponse } from '../egress';
import type { Memo } from './memo';

/** An address to talk to, with the credential the owner gave for it. */
export interface EngineTarget {
  /** Origin and optional prefix, without a trailing slash and without `/v1`. */
  readonly baseUrl: string;
  readonly credential: string | null;
}

/** How an adapter reaches its engine. */
export interface EngineIo {
  readonly egress: Egress;
  /** Ends the conversation: the client left, a deadline passed, FLM stops. */
  readonly signal: Cancel;
}

/** For looks at an engine, which are repeated: with what was read of it before. */
export interface LookIo extends EngineIo {
  readonly memo: Memo;
  /** Whether this kind of engine is known to be there: then a status of trouble is trouble, and not somebody else. */
  readonly known: boolean;
}

export type Probe =
  | {
      readonly status: 'running-healthy';
      readonly version: string | null;
      /** Requests it works on at once, where it tells. */
      readonly slots: number | null;
      /** Its models, where the probe has read them already. */
      readonly models?: readonly EngineModel[];
    }
  | { readonly status: 'needs-key' }
  /** It is there and takes no requests at the moment: it loads its model, or has too much to do. */
  | { readonly status: 'busy'; readonly reason: string };

export interface EngineCall {
  readonly route: InferenceRoute;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer>;
}

export interface InstalledProgram {
  readonly path: string;
  readonly version: string | null;
}

export interface EngineAdapter {
  readonly kind: EngineKind;
  /** As people call it. */
  readonly title: string;
  /** Ports it usually listens on; the first is its default. */
  readonly ports: readonly number[];
  /** How its owner makes it listen on this machine alone, in a sentence. */
  readonly stayHome: string;
  /**
   * Routes whose streams tell their token counts only when the request has `stream_options.include_usage`, which FLM then
   * adds. On all others they come by themselves, or not at all.
   */
  readonly askForUsage: readonly InferenceRoute[];
  /** What it is asked for; anything else is refused before a request reaches it. */
  readonly routes: readonly InferenceRoute[];
  /**
   * Asks whether this kind of engine answers there. Recognises what only it answers, never the port.
   * @returns null when it is something else. @throws EgressError when nothing usable answers.
   */
  probe(target: EngineTarget, io: LookIo): Promise<Probe | null>;
  /** @throws EgressError; ENGINE_API_ERROR when the list is not one. */
  listModels(target: EngineTarget, io: LookIo): Promise<readonly EngineModel[]>;
  /** Sends one inference request and resolves with its headers. @throws EgressError; the signal's reason. */
  open(target: EngineTarget, call: EngineCall, io: EngineIo): Promise<EgressResponse>;
  /** How many requests it works on at once, by the environment its program was started with. */
  slotsFrom?(variable: (name: string) => string | null): number | null;
  /** Looks for the program on this machine. */
  findInstalled?(env: Readonly<Record<string, string | undefined>>): Promise<InstalledProgram | null>;
}
