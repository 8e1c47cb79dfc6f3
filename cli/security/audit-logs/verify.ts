/** `flm security audit-logs verify` */
import { readFileSync } from 'node:fs';
import { Value } from '@sinclair/typebox/value';
import { type CheckpointQuery, StoredCheckpoint } from '../../../src/audit';
import { FlmError, reasonOf } from '../../../src/lib/errors';
import { isRecord, parseJson } from '../../../src/lib/json';
import { withBackend } from '../../backend';
import { withProgress } from '../../cli';
import { command } from '../../command';
import { reportText } from './text';

export default command({
  about: 'Check that every row is as it was written, and name the first that is not.',
  args: {
    checkpoint: {
      type: 'string',
      valueHint: 'file',
      description: 'Compare with a checkpoint that was kept elsewhere.',
    },
  },
  details: [
    'Edits, deletions, insertions, reordering and a cut-off end are found in any',
    'case. Somebody who holds the keys of this installation could write the whole',
    'log anew: only a checkpoint kept elsewhere tells of that.',
    'Exit code 1: something was found.',
  ],
  examples: [
    'flm security audit-logs verify',
    'flm security audit-logs verify --checkpoint /media/usb/flm-checkpoint.json',
  ],
  async run({ cli, args }) {
    const checkpoint = args.checkpoint === undefined ? {} : readCheckpoint(args.checkpoint);
    const report = await withProgress(cli, 'Checking', () =>
      withBackend(cli, (backend) => backend.audit.verify(checkpoint)),
    );
    cli.result(report, () => reportText(report));
    if (!report.ok) cli.fail(1);
  },
});

/** The checkpoint in a file, as it was written or as the command printed it. @throws IO_ERROR, INVALID_INPUT */
export function readCheckpoint(path: string): CheckpointQuery {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new FlmError('IO_ERROR', { meta: { path, reason: reasonOf(error) }, cause: error });
  }
  const json = parseJson(text);
  const checkpoint = isRecord(json) && isRecord(json.data) ? json.data : json;
  if (!Value.Check(StoredCheckpoint, checkpoint))
    throw new FlmError('INVALID_INPUT', {
      meta: { field: '--checkpoint', reason: `${path} holds no checkpoint` },
    });
  return { writer: checkpoint.writer, seq: checkpoint.seq, hash: checkpoint.hash };
}
