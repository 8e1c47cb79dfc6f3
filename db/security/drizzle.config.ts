/** For `bun run migration:security`, which writes the next migration from schema.ts. */
import { defineConfig } from 'drizzle-kit';

export default defineConfig({
  dialect: 'sqlite',
  schema: './db/security/schema.ts',
  out: './db/security/migrations',
  migrations: { prefix: 'timestamp' },
});
