#!/usr/bin/env bun
/** The entry: answers `version` before anything else is loaded, then hands the words to the CLI. */
import { VERSION } from './version';

const words = process.argv.slice(2);

if (words.length === 1 && (words[0] === '--version' || words[0] === '-V' || words[0] === '-v')) {
  process.stdout.write(`${VERSION}\n`);
} else if (words.length === 1 && words[0] === 'version') {
  const json = process.stdout.isTTY !== true;
  process.stdout.write(json ? `{"version":"1.0","data":{"version":"${VERSION}"}}\n` : `flm ${VERSION}\n`);
} else {
  const { runCli } = await import('../cli');
  process.exitCode = await runCli(words, process.env);
}
