/** What differs between two documents, as paths. */
import { expect, test } from 'bun:test';
import { differences } from './differences';

test.each([
  [{}, {}, []],
  [undefined, { a: 1, b: {} }, ['/a', '/b']],
  [{ a: 1 }, { a: 1 }, []],
  [{ a: 1 }, { a: 2 }, ['/a']],
  [{ a: { b: 1, c: 2 } }, { a: { b: 1, c: 3 } }, ['/a/c']],
  [{ a: { b: 1 } }, { a: [] }, ['/a']],
  [{ a: { b: 1 } }, {}, ['/a']],
  [{ a: [1, 2] }, { a: [2, 1] }, ['/a']],
  [{ a: [{ b: 1 }] }, { a: [{ b: 1 }] }, []],
  [{}, { 'a/b': 1, 'c~d': 2 }, ['/a~1b', '/c~0d']],
  [{ toString: 1 }, {}, ['/toString']],
  [{ a: 1, b: 2 }, { b: 2, a: 1 }, []],
])('%j against %j: %j', (before, after, paths) => {
  expect(differences(before, after)).toEqual(paths);
});
