/** For `bun run migration:config`, which writes the next migration from schema.ts. */
import { defineConfig } from 'drizzle-kit';

export default defineConfig({
  dialect: 'sqlite',
  schema: './db/config/schema.ts',
  out: './db/config/migrations',
  migrations: { prefix: 'timestamp' },
});
