/** The pages of docs/ that are made of the code itself. `bun run docs` writes them, a test holds them equal. */
import { type FlmCommand, type FlmGroup, isGroup } from '../cli/command';
import { PROGRAM } from '../cli/commands';
import { describeArgs, usageLine } from '../cli/help';
import { GLOBAL_ARGS } from '../cli/strict';
import { describedRoutes } from '../src/admin';
import { documentOf } from '../src/admin/swagger/document';
import { envNameOf, SETTING_KEYS, SETTINGS, type SettingKey } from '../src/config';
import { ERRORS, type ErrorCode } from '../src/lib/errors';
import { POLICY_SCHEMA } from '../src/policy';
import { VERSION } from '../src/version';
import { clientPage } from './client-page';
import { enginesPage } from './engines-page';
import { policyKeysPage } from './policy-page';

/** File name, from here, to text. */
export async function pages(): Promise<Readonly<Record<string, string>>> {
  const document = await documentOf(describedRoutes(), VERSION);
  return {
    'openapi.json': `${JSON.stringify(document, null, 1)}\n`,
    '../src/admin/client.gen.ts': clientPage(document),
    'errors.md': errorsPage(),
    'config.md': configPage(),
    'cli.md': await cliPage(),
    'engines.md': enginesPage(MADE),
    'security-policy.schema.json': `${JSON.stringify(POLICY_SCHEMA, null, 2)}\n`,
    'policy-keys.md': policyKeysPage(MADE),
  };
}

const MADE = '<!-- Made by "bun run docs" from the code. Do not edit. -->';

function errorsPage(): string {
  const rows = (Object.keys(ERRORS) as ErrorCode[]).map((code) => {
    const spec: (typeof ERRORS)[ErrorCode] & { readonly wire?: string } = ERRORS[code];
    const wire = spec.wire ?? code.toLowerCase();
    return `| \`${code}\` | \`${wire}\` | ${spec.status} | \`${spec.type}\` | ${spec.exit} | ${cell(spec.message)} | ${cell(spec.hint ?? '')} |`;
  });
  return `${MADE}

# Errors

Everything that FLM reports has a code. The API for clients (\`/v1\`) answers in OpenAI's shape,
\`{"error": {"message", "type", "param", "code", "request_id"}}\`, with the code in the second column; the admin API
(\`/api/v1\`) and the command line use the first column, as \`{"error": {"code", "message", "hint"}}\`. Codes are stable;
messages may get better. \`{name}\` stands for what the case at hand fills in.

The exit codes of the command line are in [cli.md](cli.md#exit-codes).

| Code | On /v1 | HTTP | Type | Exit | Message | What to do |
|---|---|---|---|---|---|---|
${rows.join('\n')}
`;
}

function configPage(): string {
  const rows = SETTING_KEYS.map((key) => settingRow(key));
  return `${MADE}

# Settings

A setting's value comes from the first of these that has one:

1. an option on the command line (\`flm up --port\`),
2. its environment variable,
3. the database, written by \`flm config set\`,
4. \`flm.toml\` in the data directory (a table per category: \`[proxy]\`, then \`port = 8080\`),
5. its default.

\`flm config explain <setting>\` shows all five. A change answers whether it is in force: *live* settings are at once, *restart*
settings after the next start, and one that an option or a variable hides is stored and says so.

| Setting | Variable | Default | Takes | Change | For |
|---|---|---|---|---|---|
${rows.join('\n')}

## Environment variables that are no settings

| Variable | For |
|---|---|
| \`FLM_DATA_DIR\` | The data directory. Default: \`$XDG_DATA_HOME/flm\` or \`~/.local/share/flm\`, on macOS \`~/Library/Application Support/flm\`, on Windows \`%LOCALAPPDATA%\\flm\`. |
| \`FLM_DATABASE_PASSPHRASE\` | Seals security.db with a passphrase instead of a key in the keychain or a key file. Must be set at the first start, and at every later one. |
| \`FLM_AUTO_INSTALL_CA\` | \`1\`: a proxy with \`packaged-ca\` makes this machine trust its root when it starts, as \`flm security install-ca\` does; what became of each store is in the log. |
| \`FLM_DISABLE_KEYRING\` | \`1\`: do not use the keychain of the operating system. |
| \`FLM_PYTHON\` | The Python that installs and runs the trial engine. |
| \`FLM_DEBUG\` | \`1\`: the command line prints the insides of an INTERNAL_ERROR. |
| \`LLAMA_CPP_PORT\`, \`LLAMA_CPP_PATH\`, \`OLLAMA_BASE_URL\`, \`VLLM_HOST\`, \`VLLM_PORT\`, \`LMSTUDIO_API_HOST\` | Where else to look for engines. |
| \`HTTPS_PROXY\`, \`NO_PROXY\` | The proxy for engines with an https:// address. Engines with an http:// address are always asked directly. |
| \`OTEL_EXPORTER_OTLP_ENDPOINT\` and other \`OTEL_…\` | Where traces and metrics are sent by OpenTelemetry: see [monitoring.md](monitoring.md#opentelemetry). |
| \`NO_COLOR\` | Respected: FLM itself prints no colours, and the questions of \`flm up\` lose theirs. |
`;
}

function settingRow(key: SettingKey): string {
  const { kind, default: value, apply, about } = SETTINGS[key];
  const { takes }: { readonly takes: string } = kind;
  const shown = Array.isArray(value) ? value.join(',') : String(value);
  return `| \`${key}\` | \`${envNameOf(key)}\` | ${shown === '' ? '(none)' : `\`${shown}\``} | ${cell(takes)} | ${apply} | ${cell(about)} |`;
}

async function cliPage(): Promise<string> {
  const sections: string[] = [];
  for await (const { path, command } of verbs(PROGRAM)) sections.push(commandSection(path, command));
  const globals = describeArgs(GLOBAL_ARGS).map(([flag, about]) => `| \`${cell(flag)}\` | ${cell(about)} |`);
  return `${MADE}

# Commands

Results go to stdout, everything else to stderr. On a terminal results are text, in a pipe they are JSON:
\`{"version": "1.0", "data": …}\`, with the shapes of the admin API.

| Every command takes | |
|---|---|
${globals.join('\n')}

Global options may also stand before the command: \`flm --json status\`.

## Exit codes

| Code | |
|---|---|
| 0 | Done. Also \`flm up\` when Ctrl-C or SIGTERM ends it while it serves: that is how it is ended. |
| 1 | Your side: a wrong word, something that is not there, an engine that failed. Also \`flm status\` when FLM does not run, and \`flm check\` when it finds an error; both print what they found all the same. |
| 2 | FLM's side: a bug, a broken database, a disk that is full. |
| 3 | FLM cannot start with this configuration, and starting it again does not help. |
| 130 | Ctrl-C or SIGTERM ended it before it was done: any command, a question of \`flm up\`, a conversation (\`/exit\` and Ctrl-D end that with 0). |

${sections.join('\n\n')}
`;
}

function commandSection(path: readonly string[], command: FlmCommand): string {
  const rows = describeArgs(command.args).map(([arg, about]) => `| \`${cell(arg)}\` | ${cell(about)} |`);
  const table = rows.length === 0 ? '' : `\n\n| Option | |\n|---|---|\n${rows.join('\n')}`;
  const details = command.details.length === 0 ? '' : `\n\n\`\`\`text\n${command.details.join('\n')}\n\`\`\``;
  return `## flm ${path.join(' ')}

${command.about}

\`\`\`
${usageLine(path, command)}
\`\`\`${table}${details}

\`\`\`sh
${command.examples.join('\n')}
\`\`\``;
}

async function* verbs(
  group: FlmGroup,
  path: readonly string[] = [],
): AsyncGenerator<{ path: readonly string[]; command: FlmCommand }> {
  for (const [name, entry] of Object.entries(group.commands)) {
    const here = [...path, name];
    if (isGroup(entry)) yield* verbs(entry, here);
    else yield { path: here, command: await entry() };
  }
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
