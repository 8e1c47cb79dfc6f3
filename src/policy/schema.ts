/** The JSON Schema of the policy (FLM-109), and whether a document fits it, with every place where it does not. */
import { Value } from '@sinclair/typebox/value';
import type { ErrorObject, ValidateFunction } from 'ajv';
import { isRecord } from '../lib/json';
import { PolicyDocument } from './model';
import type { Remark } from './rules';

/** The published schema: JSON Schema 2020-12. */
export const POLICY_SCHEMA: Readonly<Record<string, unknown>> = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  ...plainOf(JSON.parse(JSON.stringify(PolicyDocument))),
};

/** Choices as `enum`, which editors complete and validators explain. */
function plainOf(schema: unknown): Record<string, unknown> {
  if (!isRecord(schema)) return {};
  const { anyOf, ...rest } = schema;
  const words = Array.isArray(anyOf)
    ? anyOf.map((choice: unknown) => (isRecord(choice) ? choice.const : null))
    : [];
  const inner = isRecord(rest.properties) ? rest.properties : {};
  return {
    ...rest,
    ...(words.length === 0 ? {} : { enum: words }),
    ...(isRecord(rest.properties)
      ? { properties: Object.fromEntries(Object.entries(inner).map(([key, value]) => [key, plainOf(value)])) }
      : {}),
  };
}

/** Whether a document has the right shape, without the means to say what is wrong: for one that was examined when it was stored. */
export function fits(document: unknown): document is PolicyDocument {
  return Value.Check(PolicyDocument, document);
}

let compiled: Promise<ValidateFunction> | null = null;

/** Every place where a document does not fit the schema. Loads the validator when it is first needed. */
export async function schemaProblems(document: unknown): Promise<Remark[]> {
  compiled ??= compile();
  const validate = await compiled;
  if (validate(document)) return [];
  return (validate.errors ?? []).map(remarkOf);
}

async function compile(): Promise<ValidateFunction> {
  const { Ajv2020 } = await import('ajv/dist/2020.js');
  return new Ajv2020({ allErrors: true, strict: true, verbose: true }).compile(POLICY_SCHEMA);
}

function remarkOf({ instancePath: path, keyword, params, message, data, parentSchema }: ErrorObject): Remark {
  const schema = isRecord(parentSchema) ? parentSchema : {};
  switch (keyword) {
    case 'required':
      return { path: `${path}/${String(params.missingProperty)}`, message: 'is missing' };
    case 'additionalProperties':
      return {
        path: `${path}/${String(params.additionalProperty)}`,
        message: `is not known here; there is ${Object.keys(isRecord(schema.properties) ? schema.properties : {}).join(', ')}`,
      };
    case 'type':
      return {
        path,
        message: `takes ${TYPES[String(params.type)] ?? String(params.type)}${rangeOf(schema)}, not ${shown(data)}`,
      };
    case 'minimum':
    case 'maximum':
      return { path, message: `takes a whole number${rangeOf(schema)}, not ${shown(data)}` };
    case 'enum':
      return { path, message: `takes one of ${(schema.enum as unknown[]).join(', ')}, not ${shown(data)}` };
    case 'minLength':
      return { path, message: 'is empty' };
    case 'maxLength':
      return { path, message: `takes at most ${String(params.limit)} characters` };
    case 'maxItems':
      return { path, message: `takes at most ${String(params.limit)} entries` };
    case 'uniqueItems':
      return { path: `${path}/${String(params.i)}`, message: `is the same as number ${String(params.j)}` };
    case 'pattern':
      return { path, message: `is not of the form ${String(params.pattern)}: ${shown(data)}` };
    default:
      return { path, message: message ?? keyword };
  }
}

const TYPES: Readonly<Record<string, string>> = {
  object: 'an object {…}',
  array: 'a list […]',
  string: 'a text',
  integer: 'a whole number',
  boolean: 'true or false',
};

function rangeOf({ minimum, maximum }: Record<string, unknown>): string {
  return typeof minimum === 'number' && typeof maximum === 'number' ? ` from ${minimum} to ${maximum}` : '';
}

const SHOWN_CHARACTERS = 60;

function shown(data: unknown): string {
  const text = JSON.stringify(data) ?? 'nothing';
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}
