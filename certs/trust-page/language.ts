/** Which of our languages a visitor reads best (RFC 9110 §12.5.4). */
import { LANGUAGES, type Language } from './words';

/** The one that Accept-Language ranks highest; English for whoever names none of ours. */
export function languageFor(acceptLanguage: string | null): Language {
  const ranked = (acceptLanguage ?? '').split(',').flatMap((part) => {
    const [tag = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    const quality = weight === undefined ? 1 : Number(weight);
    const language = LANGUAGES.find((known) => tag === known || tag.startsWith(`${known}-`));
    return language === undefined || !(quality > 0) ? [] : [{ language, quality }];
  });
  const best = Math.max(...ranked.map(({ quality }) => quality));
  return ranked.find(({ quality }) => quality === best)?.language ?? 'en';
}
