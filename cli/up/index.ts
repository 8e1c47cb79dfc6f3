/** `flm up`: the newcomer's one command. Everything it needs is made on the way, in the foreground. */
import { confirm, isCancel } from '@clack/prompts';
import type { CreatedKey } from '../../src/admission';
import { type App, openApp } from '../../src/app';
import { type ConfigSnapshot, parseSetting } from '../../src/config';
import { canRaiseFetchCap, raiseFetchCap } from '../../src/daemon';
import { FlmError } from '../../src/lib/errors';
import type { LogLevel } from '../../src/lib/log';
import { refuseSecond } from '../backend';
import { ask } from '../chat/ask';
import { findPlace } from '../chat/place';
import { type Cli, INTERRUPTED } from '../cli';
import { command } from '../command';
import { guardAgainstCrashes } from '../crash-guard';
import { EGRESS_ARGS, egressSettings } from '../egress/flags';
import { installTrial } from '../engines/try';
import { stderrLog } from '../log';
import { parsePort as parseProxyPort } from '../proxy/selector';
import { TLS_ARGS } from '../proxy/tls';
import { type UpResult, upText } from './banner';
import { serveOnFreePort } from './port';

/** How long to wait for an FLM that is just going down, or that was killed a moment ago. */
const LOCK_WAIT_MS = 2_000;

export default command({
  about: 'Start FLM here: finds your engines, makes the first API key, and serves until Ctrl-C.',
  args: {
    port: {
      type: 'string',
      valueHint: 'N',
      description: 'Port of the API. Default: proxy.port; where nobody set that, 8080 or the next free one.',
    },
    bind: {
      type: 'string',
      valueHint: 'A',
      description: 'Address to listen on; 0.0.0.0 for every network. Default: proxy.bind.',
    },
    'allow-plaintext': { type: 'boolean', description: 'Bind a public address although there is no TLS.' },
    ...TLS_ARGS,
    ...EGRESS_ARGS,
    try: { type: 'boolean', description: 'Install and start the trial engine.' },
    ask: {
      type: 'string',
      valueHint: 'PROMPT',
      description: 'Once FLM is up, ask a model this and print its answer (as JSON: a second line).',
    },
  },
  examples: [
    'flm up',
    'flm up --try',
    'flm up --mode packaged-ca --bind 0.0.0.0',
    'flm up --port 9000 --json',
  ],
  async run({ cli, args }) {
    const port = args.port === undefined ? null : parsePort(args.port);
    const httpsPort =
      args['https-port'] === undefined ? null : parseProxyPort(args['https-port'], '--https-port');
    const flags: Partial<ConfigSnapshot> = {
      // Port 0 lets the system choose, which no setting can.
      ...(port === null || port === 0 ? {} : { 'proxy.port': port }),
      ...(args.bind === undefined ? {} : { 'proxy.bind': parseSetting('proxy.bind', args.bind) }),
      ...egressSettings(args),
    };
    const app = await openHere(cli, flags);
    if (app.engines.anyOverHttps() && canRaiseFetchCap()) {
      await app.close();
      raiseFetchCap();
    }
    const crash = guardAgainstCrashes(app, cli);
    try {
      const bind = app.config.current()['proxy.bind'];
      const { mode } = app.proxies.profileOf({
        ...(args.mode === undefined ? {} : { mode: args.mode }),
        ...(httpsPort === null ? {} : { https_port: httpsPort }),
      });
      const allowPlaintext = args['allow-plaintext'] === true;
      await serveOnFreePort(app, cli, { port, bind, mode, httpsPort, allowPlaintext });
      await app.engines.refresh(0);
      if ((await startTrial(app, cli, args.try === true)) === 'quit') return cli.fail(INTERRUPTED);
      const result: UpResult = {
        status: app.status(),
        engines: await app.engines.list(),
        key: await firstKey(app),
      };
      cli.result({ ...result.status, plain_key: result.key?.plain_key ?? null }, () => upText(result));
      if (result.key !== null && (await cli.delivered()) !== null)
        cli.note('Nobody has seen the first key. For another one: flm api-keys rotate "first key"');
      // From here on FLM serves, and Ctrl-C is how that ends, also while a model still answers.
      if (args.ask !== undefined) await askFirst(app, cli, args.ask).catch(unlessInterrupted(cli));
      await Promise.race([untilInterrupted(cli), app.over]);
    } finally {
      await app.close();
      crash.uninstall();
    }
  },
});

/** @throws PROXY_ALREADY_RUNNING when an FLM serves this data directory. */
async function openHere(cli: Cli, flags: Partial<ConfigSnapshot>): Promise<App> {
  const { paths, env, clock } = cli;
  await refuseSecond(cli);
  let app: App | null = null;
  const log = stderrLog(cli, () => levelFor(cli, app?.config.current()['log.level'] ?? 'info'));
  try {
    app = await openApp({ paths, env, clock, log, flags, running: true, lockWaitMs: LOCK_WAIT_MS });
    return app;
  } catch (error) {
    // It may have been starting up while we looked for it.
    if (error instanceof FlmError && error.code === 'DB_LOCKED') await refuseSecond(cli);
    throw error;
  }
}

/** A person who watches reads the banner; the lines are for whoever collects them. */
function levelFor(cli: Cli, level: LogLevel): LogLevel {
  return cli.decorated && level === 'info' ? 'warn' : level;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new FlmError('INVALID_INPUT', {
    meta: { field: '--port', reason: 'it takes a whole number from 0 to 65535' },
  });
}

/**
 * Starts the trial engine when it is asked for or installed already; offers it to a person who has no engine at all.
 * `quit`: that person would rather leave.
 */
async function startTrial(app: App, cli: Cli, wanted: boolean): Promise<'go on' | 'quit'> {
  const installed = app.trial.state().installed;
  if (!installed && !wanted) {
    const nothingRuns = app.engines.states().every((state) => state.status !== 'running-healthy');
    const mayDownload = app.wayOut.now().mode === 'direct';
    if (!nothingRuns || !mayDownload || !cli.interactive || cli.format === 'json') return 'go on';
    const answer = await offerTrial(cli);
    if (answer !== 'yes') return answer === 'no' ? 'go on' : 'quit';
  }
  try {
    if (!installed) await installTrial(cli, app.trial, app.wayOut.now().mode);
    await app.engines.startTrial();
  } catch (error) {
    if (wanted || !(error instanceof FlmError)) throw error;
    // FLM serves other engines all the same.
    cli.note(`${error.message} ${error.hint ?? ''}`);
  }
  return 'go on';
}

async function offerTrial(cli: Cli): Promise<'yes' | 'no' | 'quit'> {
  const answer = await confirm({
    message: 'No engine runs on this machine. Install a small one to try FLM with (llama.cpp, 130 MB)?',
    signal: cli.interrupted,
  });
  if (isCancel(answer)) return 'quit';
  return answer ? 'yes' : 'no';
}

/** A key for somebody who has none that could be used. */
async function firstKey(app: App): Promise<CreatedKey | null> {
  return app.keys.anyUsable() ? null : app.keys.create({ label: 'first key' });
}

async function askFirst(app: App, cli: Cli, prompt: string): Promise<void> {
  const place = await findPlace(app.status(), app.certs);
  const [model] = (await app.models.list(null)).items;
  if (model === undefined || place === null) throw new FlmError('NO_MODELS');
  const people = cli.format === 'text';
  if (people) cli.note(`\n> ${prompt}\n`);
  const answer = await ask(
    { egress: app.egress, place, issueKey: async () => app.keys.issueEphemeral('flm up', 60_000).plain },
    { model: model.id, messages: [{ role: 'user', content: prompt }], stream: true, signal: cli.interrupted },
    (text) => people && cli.write(text),
  );
  cli.result(answer, () => '');
  if (people) cli.note('\nFLM goes on serving. Stop it with Ctrl-C.');
}

function unlessInterrupted(cli: Cli): (error: unknown) => void {
  return (error) => {
    if (!cli.interrupted.aborted) throw error;
  };
}

async function untilInterrupted(cli: Cli): Promise<void> {
  if (cli.interrupted.aborted) return;
  // An open server alone does not keep an awaited promise's process alive for ever; the listener's socket does.
  await new Promise<void>((resolve) =>
    cli.interrupted.addEventListener('abort', () => resolve(), { once: true }),
  );
}
