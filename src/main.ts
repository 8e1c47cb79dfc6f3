#!/usr/bin/env bun
/** The entry: answers `version` before anything else is loaded, then hands the words to the CLI. */
import { VERSION } from './version';

const words = process.argv.slice(2);

// A version that could not be written is told in a line, and a reader who left is nobody's failure.
function onError(error: Error): void {
  if ('code' in error && error.code === 'EPIPE') return;
  process.exitCode = 2;
  process.stderr.write(`Error: ${error.message}\n`);
}

if (words.length === 1 && (words[0] === '--version' || words[0] === '-V' || words[0] === '-v')) {
  process.stdout.on('error', onError).write(`${VERSION}\n`);
} else if (words.length === 1 && words[0] === 'version') {
  const json = process.stdout.isTTY !== true;
  process.stdout
    .on('error', onError)
    .write(json ? `{"version":"1.0","data":{"version":"${VERSION}"}}\n` : `flm ${VERSION}\n`);
} else {
  const { runCli } = await import('../cli');
  process.exitCode = await runCli(words, process.env);
}
