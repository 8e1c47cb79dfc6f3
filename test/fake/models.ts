/** What a fake engine knows about each of its models; every engine shows another part of it. */
import { createHash } from 'node:crypto';

export type Capability = 'completion' | 'embedding' | 'tools' | 'vision' | 'thinking' | 'insert';

/** A model to list; what is left out gets a default. */
export interface FakeModel {
  readonly name: string;
  /** In Ollama's words. Default `['completion', 'tools']`. */
  readonly capabilities?: readonly Capability[];
  /** Whether it is in memory (Ollama's /api/ps, LM Studio's states). Default false; work on it loads it. */
  readonly loaded?: boolean;
  /** Tokens that it was trained for. Default 8192. */
  readonly contextLength?: number;
  /** Tokens that it is loaded with. Default 2048. */
  readonly loadedContextLength?: number;
  /** 64 hexadecimal digits. Default: made from the name. */
  readonly digest?: string;
  /** Default `llama`. */
  readonly family?: string;
  /** Default `134.52M`. */
  readonly parameterSize?: string;
  /** Default `Q4_1`. */
  readonly quantization?: string;
  /** Default 98363013. */
  readonly sizeBytes?: number;
}

export type KnownModel = Required<FakeModel>;

/** Fills in what was not said about a model. */
export function describeModel(model: string | FakeModel): KnownModel {
  const given = typeof model === 'string' ? { name: model } : model;
  return {
    capabilities: ['completion', 'tools'],
    loaded: false,
    contextLength: 8192,
    loadedContextLength: 2048,
    digest: createHash('sha256').update(given.name).digest('hex'),
    family: 'llama',
    parameterSize: '134.52M',
    quantization: 'Q4_1',
    sizeBytes: 98_363_013,
    ...given,
  };
}
