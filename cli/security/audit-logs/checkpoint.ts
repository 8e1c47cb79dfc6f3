/** `flm security audit-logs checkpoint` */
import { existsSync } from 'node:fs';
import { FlmError } from '../../../src/lib/errors';
import { writeFileAtomic } from '../../../src/lib/files';
import { withBackend } from '../../backend';
import { command } from '../../command';

export default command({
  about: 'Take down how far the audit log is, to be kept elsewhere.',
  args: {
    output: { type: 'string', valueHint: 'file', description: 'A new file to write it to. Default: stdout.' },
  },
  details: [
    'Keep it where nobody who gets hold of this machine can change it: on paper,',
    'in a mail, on another machine. "flm security audit-logs verify --checkpoint',
    'FILE" then tells whether anything before it was changed.',
  ],
  examples: [
    'flm security audit-logs checkpoint --output /media/usb/flm-checkpoint.json',
    'flm security audit-logs checkpoint --json | tee -a flm-checkpoints.jsonl',
  ],
  async run({ cli, args: { output } }) {
    // An older one in its place may be the only evidence there is.
    if (output !== undefined && existsSync(output))
      throw new FlmError('INVALID_INPUT', {
        meta: { field: '--output', reason: `${output} is there already` },
      });
    const checkpoint = await withBackend(cli, (backend) => backend.audit.checkpoint());
    const text = JSON.stringify(checkpoint);
    if (output !== undefined) writeFileAtomic(output, `${text}\n`);
    cli.result(checkpoint, () =>
      output === undefined ? text : `Written: ${output}. Keep it elsewhere than on this machine.`,
    );
  },
});
