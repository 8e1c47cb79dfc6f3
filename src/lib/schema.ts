/** Two schema shapes that the admin API uses everywhere. */
import {
  type SchemaOptions,
  type TNull,
  type TSchema,
  type TUnion,
  type TUnsafe,
  Type,
} from '@sinclair/typebox';

/** One of a few words. */
export function oneOf<const Word extends string>(
  words: readonly Word[],
  options?: SchemaOptions,
): TUnsafe<Word> {
  return Type.Unsafe<Word>(
    Type.Union(
      words.map((word) => Type.Literal(word)),
      options,
    ),
  );
}

/** The value, or null where there is none. */
export function nullable<Schema extends TSchema>(
  schema: Schema,
  options?: SchemaOptions,
): TUnion<[Schema, TNull]> {
  return Type.Union([schema, Type.Null()], options);
}
