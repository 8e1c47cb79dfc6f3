/** `bun run docs`: writes the pages that are made of the code. */
import { join } from 'node:path';
import { pages } from './pages';

for (const [name, text] of Object.entries(await pages())) {
  await Bun.write(join(import.meta.dir, name), text);
  console.log(`docs/${name}`);
}
