/** For `bun run migration:activity`, which writes the next migration from schema.ts. */
import { defineConfig } from 'drizzle-kit';

export default defineConfig({
  dialect: 'sqlite',
  schema: './db/activity/schema.ts',
  out: './db/activity/migrations',
  migrations: { prefix: 'timestamp' },
});
