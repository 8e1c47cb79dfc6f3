export { openai as vllm } from './openai';
