/** `flm security certificates remove` */
import { FlmError } from '../../../src/lib/errors';
import { type Backend, withBackend } from '../../backend';
import { command } from '../../command';

export default command({
  about: 'Stop showing a certificate that you have brought. Its key is deleted.',
  args: {
    id: { type: 'positional', required: true, description: 'Its id, or the beginning of it.' },
  },
  examples: ['flm security certificates remove 0f3223fe95fd6384'],
  async run({ cli, args }) {
    const removed = await withBackend(cli, async ({ certs }) => certs.remove(await idFor(certs, args.id)));
    cli.result(removed, () => `The certificate ${removed.id.slice(0, 16)} is removed.`);
  },
});

/** Long enough that nobody types one of them by accident. */
const MIN_ID = 6;

/** The whole id of the one that begins so. @throws CERTIFICATE_NOT_FOUND, INVALID_INPUT when there are several */
async function idFor(certs: Backend['certs'], start: string): Promise<string> {
  const wanted = start.toLowerCase().replaceAll(':', '');
  const { items } = await certs.list();
  const found = wanted.length < MIN_ID ? [] : items.filter(({ id }) => id.startsWith(wanted));
  const [first, second] = found;
  if (first === undefined) throw new FlmError('CERTIFICATE_NOT_FOUND', { meta: { id: start } });
  if (second !== undefined)
    throw new FlmError('INVALID_INPUT', {
      meta: { field: 'id', reason: `${found.length} begin with "${start}"` },
    });
  return first.id;
}
