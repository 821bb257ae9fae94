from reports import layout
