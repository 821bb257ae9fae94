from codec._chosen import decode
