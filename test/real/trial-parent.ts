/** A program that starts the cached trial engine and never stops it: trial.test.ts kills it. */
import { cachedTrial } from './trial-engine';

const trial = cachedTrial();
await trial.start();
console.log(JSON.stringify(trial.state()));
