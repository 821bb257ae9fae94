"""Mail: messages, and the templates they are made from. Import the module you need."""
