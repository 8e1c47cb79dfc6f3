/**
 * What an alias stands for: places in the order they are tried, each shared by one or more models. As people write it,
 * `a=3 | b, c`: a comma begins the next place, a bar divides one place by weight (default 1).
 */
import { FlmError } from '../lib/errors';
import { parseModelName } from '../lib/model-name';

export interface Target {
  /** A plain name or an `flm://` address. Never an alias. */
  readonly model: string;
  /** Its part of the requests that come to the place, 1 to MAX_WEIGHT. */
  readonly weight: number;
}

export type Place = readonly Target[];

export const MAX_WEIGHT = 1_000;
export const MAX_TARGETS = 50;

/** Reads `a=3 | b, c`. @throws INVALID_INPUT for empty places and names, bad weights, and what checkPlaces refuses */
export function parseTargets(text: string): readonly Place[] {
  const places = text.split(',').map((place) => place.split('|').map(parseTarget));
  checkPlaces(places);
  return places;
}

/** The places as parseTargets reads them, as far as no name holds a comma or a bar. */
export function formatTargets(places: readonly Place[]): string {
  return places.map((place) => place.map(formatTarget).join(' | ')).join(', ');
}

/** @throws INVALID_INPUT when a target is no model's name, stands there twice, or there are none or too many */
export function checkPlaces(places: readonly Place[]): void {
  const targets = places.flat();
  if (targets.length === 0 || places.some((place) => place.length === 0)) throw invalid('a place is empty');
  if (targets.length > MAX_TARGETS) throw invalid(`there are more than ${MAX_TARGETS}`);
  for (const { model, weight } of targets) {
    checkTarget(model);
    if (!Number.isInteger(weight) || weight < 1 || weight > MAX_WEIGHT)
      throw invalid(`the weight of "${model}" must be a whole number from 1 to ${MAX_WEIGHT}`);
  }
  const names = targets.map(({ model }) => model);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw invalid(`"${twice}" stands there twice`);
}

/** Whether a name can be read and typed: no control, format or line-breaking characters, no space at its ends. */
export function isReadable(name: string): boolean {
  return !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(name) && name.trim() === name;
}

/** `name=3`; a name that ends in such a thing itself is given its weight: `name=3=1`. */
const WEIGHTED = /^(.*\S)\s*=\s*(\d{1,9})$/su;

/** Whether a name looks like one with a weight that is none: what stands behind its last `=` is no positive number. */
export function isBadWeight(model: string): boolean {
  const equals = model.lastIndexOf('=');
  return equals !== -1 && !/^\s*0*[1-9]\d*\s*$/.test(model.slice(equals + 1));
}

function parseTarget(text: string): Target {
  const written = text.trim();
  if (written === '') throw invalid('a name is missing');
  const [, model = written, weight = '1'] = WEIGHTED.exec(written) ?? [];
  return { model, weight: Number(weight) };
}

function formatTarget({ model, weight }: Target): string {
  return weight === 1 && !WEIGHTED.test(model) ? model : `${model}=${weight}`;
}

function checkTarget(model: string): void {
  if (!isReadable(model)) throw invalid('a name holds characters that cannot be seen');
  try {
    parseModelName(model);
  } catch (error) {
    const reason = error instanceof FlmError ? error.meta.reason : null;
    throw new FlmError('INVALID_INPUT', {
      meta: { field: 'targets', reason: `"${model}" is no name of a model: ${reason ?? 'it is malformed'}` },
      cause: error,
    });
  }
}

function invalid(reason: string): FlmError {
  return new FlmError('INVALID_INPUT', { meta: { field: 'targets', reason } });
}
