export { openai as lmstudio } from './openai';
