/** The version of this FLM, from package.json. Imports nothing else, so that `flm version` stays instant. */
import packageJson from '../package.json' with { type: 'json' };

export const VERSION: string = packageJson.version;
