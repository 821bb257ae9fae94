from codec._chosen import encode
